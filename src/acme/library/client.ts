/** What is used of the ACME library. */
export { axios, Client, crypto } from 'acme-client';
