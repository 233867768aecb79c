/** The SDK's reader of the shared configuration files. */
export { loadConfig } from '@smithy/core/config';
