/** The version that all three programs announce: Teleport's, whose protocol they speak. */
export const VERSION = '18.3.0';
