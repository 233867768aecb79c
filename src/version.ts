/** The version that all three programs announce: that of Teleport, whose protocol they speak. `package.json` has the same. */
export const VERSION = '18.3.0';
