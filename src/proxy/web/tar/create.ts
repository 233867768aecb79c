/** What is used of the library that writes tar files. */
export { create } from 'tar';
