/**
 * What an automatic user is called in a database: the person's name, as far as that can be a user there. It is looked at before
 * anything is made. Pure.
 *
 * Source: Amazon Redshift API Reference, GetClusterCredentials (`DbUser`), whose reserved words are those of the Database
 * Developer Guide, page `r_pg_keywords`, and there page `r_names` for capital letters; PostgreSQL manual, "Lexical Structure"
 * (63 bytes), "CREATE ROLE" (`pg_`), and "Reserved Names of Roles" in the source of its parser (`public`, `none`).
 */
import { TeleportError } from '../errors.js';
import { isRedshift, NAME_BYTES } from './database-user.js';
import type { Database } from './types.js';

const REDSHIFT_NAME = /^[A-Za-z][A-Za-z0-9_+.@-]{0,63}$/;

const RESERVED = new Set(
  (
    'aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between binary ' +
    'blanksasnull both bytedict bzip2 case cast check collate column constraint create credentials cross current_date ' +
    'current_time current_timestamp current_user current_user_id default deferrable deflate defrag delta delta32k desc ' +
    'disable distinct do else emptyasnull enable encode encrypt encryption end except explicit false for foreign freeze ' +
    'from full globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner intersect ' +
    'interval into is isnull join leading left like limit localtime localtimestamp lun luns lzo lzop minus mostly16 ' +
    'mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or order outer overlaps ' +
    'parallel partition percent permissions pivot placing primary public raw readratio recover references rejectlog resort ' +
    'respect restore right select session_user similar snapshot some sysdate system table tag tdes text255 text32k then ' +
    'timestamp to top trailing true truncatecolumns union unique unnest unpivot user using verbose wallet when where with ' +
    'without'
  ).split(' '),
);

/**
 * @param username  of the cluster
 * @param remoteUser  what she is called in her own cluster, where that is another one
 * @returns the user of the database, as the server writes it
 * @throws BadParameter that names the rule and the name
 */
export function autoUserName(username: string, database: Database, remoteUser?: string): string {
  if (!isRedshift(database)) return postgresName(username);
  // Who else is there in the other cluster is not known here.
  if (remoteUser !== undefined && folded(remoteUser) !== remoteUser) {
    const rule =
      'it takes capital letters and small ones for the same, so a user of another cluster needs a name in small letters';
    throw refused(remoteUser, 'Redshift', rule);
  }
  return redshiftName(username);
}

/** Whether a user of a database can be one that was made for somebody, by its name. */
export function isAutoUserName(name: string, database: Database): boolean {
  try {
    return autoUserName(name, database) === name;
  } catch {
    return false;
  }
}

/** Whether two people of the cluster would be one user of Redshift. */
export const isSameInRedshift = (one: string, other: string): boolean => folded(one) === folded(other);

/** ASCII letters only, as the server does it. */
const folded = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function redshiftName(username: string): string {
  const name = folded(username);
  if (!REDSHIFT_NAME.test(username)) {
    throw refused(username, 'Redshift', 'it takes 1 to 64 letters, digits and _ + . @ -, and the first is a letter');
  }
  if (RESERVED.has(name)) throw refused(username, 'Redshift', 'it is a reserved word there');
  return name;
}

function postgresName(username: string): string {
  const bytes = Buffer.byteLength(username);
  if (bytes === 0 || bytes > NAME_BYTES.postgres || username.includes('\0')) {
    throw refused(username, 'PostgreSQL', `it takes 1 to ${NAME_BYTES.postgres} bytes, and this name has ${bytes}`);
  }
  if (username === 'public' || username === 'none' || username.startsWith('pg_')) {
    throw refused(username, 'PostgreSQL', 'public, none and what begins with pg_ are reserved there');
  }
  return username;
}

function refused(username: string, server: string, rule: string): TeleportError {
  return new TeleportError(
    'BadParameter',
    `${JSON.stringify(username)} cannot be the name of a user of ${server}: ${rule}`,
    {
      hint: 'Rename the user in the cluster, or let a role without create_db_user_mode name a user of the database in db_users.',
    },
  );
}
