/** The flags of `teleport start` and `teleport db start`, by their names. */
import type { DatabaseEntry } from '../resources/teleport-yaml.js';

export interface StartFlags {
  config?: string | undefined;
  roles?: string[] | undefined;
  token?: string | undefined;
  authServer?: string[] | undefined;
  dataDir?: string | undefined;
  nodename?: string | undefined;
  caPin?: string[] | undefined;
  insecure?: boolean | undefined;
  debug?: boolean | undefined;
  pidFile?: string | undefined;
  diagAddr?: string | undefined;
  listenIp?: string | undefined;
  fips?: boolean | undefined;
  permitUserEnv?: boolean | undefined;
  advertiseIp?: string | undefined;
  /** One more entry of `db_service.databases`. */
  database?: DatabaseEntry | undefined;
}
