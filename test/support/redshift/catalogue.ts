/**
 * As much of Redshift's catalogue as drivers and user provisioning ask for, as SQL for a PostgreSQL database. It stands
 * last but one in the search path, so that tables are still made in `public` and `version()` is found before PostgreSQL's.
 *
 * Source of the columns: Amazon Redshift Database Developer Guide, "System tables and views reference".
 */

export const REDSHIFT_VERSION = '1.0.84219';

/** Views that Redshift has in `pg_catalog`, where nobody can make one. */
export const CATALOGUE_VIEWS = new Set([
  'STV_SESSIONS',
  'STV_RECENTS',
  'SVV_ROLES',
  'SVL_USER_INFO',
  'SVV_USER_GRANTS',
]);

export function catalogueSql(database: string): string {
  const name = `"${database.replaceAll('"', '""')}"`;
  return `
CREATE SCHEMA redshift_catalog;
GRANT USAGE ON SCHEMA redshift_catalog TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE FUNCTION redshift_catalog.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift ${REDSHIFT_VERSION}'::text $$;
CREATE FUNCTION redshift_catalog.getdate() RETURNS timestamp LANGUAGE sql STABLE AS $$ SELECT now()::timestamp(0) $$;
CREATE FUNCTION redshift_catalog.json_array_length(text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_catalog.json_array_length($1::json) $$;
CREATE FUNCTION redshift_catalog.json_extract_array_element_text(text, int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT ($1::json)->>$2 $$;
CREATE VIEW redshift_catalog.stv_sessions AS
  SELECT backend_start::timestamp AS starttime, pid AS process, datname::text AS db_name, 0 AS timeout_sec,
    CASE WHEN usename LIKE 'IAM%:%' THEN usename::text ELSE 'IAM:' || usename END AS user_name
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> 'postgres';
CREATE VIEW redshift_catalog.stv_recents AS
  SELECT usesysid::int AS userid, CASE state WHEN 'active' THEN 'Running' ELSE 'Done' END AS status,
    query_start::timestamp AS starttime, usename::text AS user_name, datname::text AS db_name, query, pid
  FROM pg_stat_activity WHERE backend_type = 'client backend';
CREATE VIEW redshift_catalog.svv_roles AS
  SELECT oid::int AS role_id, rolname::text AS role_name, 'postgres'::text AS role_owner, NULL::text AS external_id
  FROM pg_roles WHERE NOT rolcanlogin AND rolname NOT LIKE 'pg\\_%';
CREATE VIEW redshift_catalog.svl_user_info AS
  SELECT rolname::text AS usename, oid::int AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper,
    CASE rolconnlimit WHEN -1 THEN 'UNLIMITED' ELSE rolconnlimit::text END AS useconnlimit
  FROM pg_roles WHERE rolcanlogin;
CREATE VIEW redshift_catalog.svv_user_grants AS
  SELECT u.oid::int AS user_id, u.rolname::text AS user_name, r.oid::int AS role_id, r.rolname::text AS role_name,
    m.admin_option
  FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid;
GRANT SELECT ON ALL TABLES IN SCHEMA redshift_catalog TO PUBLIC;
ALTER DATABASE ${name} SET search_path = "$user", public, redshift_catalog, pg_catalog;
ALTER DATABASE ${name} SET redshift.enable_case_sensitive_identifier = false;
`;
}
