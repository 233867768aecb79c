/**
 * Which names Redshift's API takes for a user, a database and groups, letter by letter as its reference says.
 *
 * Source: Amazon Redshift API Reference, GetClusterCredentials (`DbUser`, `DbName`, `DbGroups`); the reserved words are
 * those of the Database Developer Guide, page `r_pg_keywords`.
 */

const RESERVED = new Set(
  `aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between binary
  blanksasnull both bytedict bzip2 case cast check collate column constraint create credentials cross current_date
  current_time current_timestamp current_user current_user_id default deferrable deflate defrag delta delta32k desc
  disable distinct do else emptyasnull enable encode encrypt encryption end except explicit false for foreign freeze
  from full globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner intersect
  interval into is isnull join leading left like limit localtime localtimestamp lun luns lzo lzop minus mostly16
  mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or order outer overlaps
  parallel partition percent permissions pivot placing primary raw readratio recover references rejectlog resort respect
  restore right select session_user similar snapshot some sysdate system table tag tdes text255 text32k then timestamp to
  top trailing true truncatecolumns union unique unnest unpivot user using verbose wallet when where with without`.split(
    /\s+/,
  ),
);

/** 1 to 64 of the letters that the reference lists, the first one a letter of the alphabet, and no reserved word. */
function isName(name: string, pattern: RegExp): boolean {
  return pattern.test(name) && !RESERVED.has(name.toLowerCase());
}

export function isDbUser(name: string): boolean {
  return isName(name, /^[A-Za-z][A-Za-z0-9_+.@-]{0,63}$/) && name.toLowerCase() !== 'public';
}

export function isDbName(name: string): boolean {
  return isName(name, /^[A-Za-z][A-Za-z0-9_+.@-]{0,63}$/);
}

export function isDbGroup(name: string): boolean {
  return isName(name, /^[a-z][a-z0-9_+.@-]{0,63}$/);
}
