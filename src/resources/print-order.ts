/** Order of members in Teleport's JSON: that of the fields in its messages. Members without a place come last. */

type Members = Record<string, unknown>;

const ORDER = {
  token: 'roles allow aws_iid_ttl join_method',
  record_session: 'desktop default ssh',
  options:
    'forward_agent max_session_ttl port_forwarding cert_format client_idle_timeout disconnect_expired_cert ' +
    'enhanced_recording permit_x11_forwarding max_connections max_sessions request_access request_prompt lock ' +
    'record_session desktop_clipboard cert_extensions max_kubernetes_connections desktop_directory_sharing ' +
    'create_host_user pin_source_ip ssh_file_copy require_session_mfa device_trust_mode idp create_desktop_user ' +
    'create_db_user create_host_user_mode create_db_user_mode mfa_verification_interval ' +
    'create_host_user_default_shell ssh_port_forwarding',
  conditions:
    'logins node_labels rules kubernetes_groups request kubernetes_users app_labels cluster_labels kubernetes_labels ' +
    'db_labels db_names db_users impersonate review_requests aws_role_arns windows_desktop_logins ' +
    'windows_desktop_labels require_session_join join_sessions host_groups host_sudoers azure_identities ' +
    'kubernetes_resources gcp_service_accounts db_service_labels group_labels desktop_groups db_roles ' +
    'node_labels_expression app_labels_expression cluster_labels_expression kubernetes_labels_expression ' +
    'db_labels_expression db_service_labels_expression windows_desktop_labels_expression group_labels_expression ' +
    'db_permissions spiffe account_assignments github_permissions workload_identity_labels mcp',
  aws:
    'region redshift rds account_id elasticache secret_store memorydb rdsproxy redshift_serverless external_id ' +
    'assume_role_arn opensearch iam_policy_status session_tags docdb elasticache_serverless',
  trusted_cluster: 'enabled roles token web_proxy_addr tunnel_addr role_map',
  target_health: 'address protocol status transition_timestamp transition_reason transition_error message',
  lock_target: 'user role login mfa_device windows_desktop access_request device server_id bot_instance_id join_token',
  preference:
    'type second_factor connector_name u2f disconnect_expired_cert allow_local_auth message_of_the_day locking_mode ' +
    'webauthn allow_passwordless require_session_mfa device_trust idp allow_headless default_session_ttl okta ' +
    'hardware_key signature_algorithm_suite second_factors stable_unix_user_config',
} as const;

/** The same members in the order of a block. */
export function ordered(block: keyof typeof ORDER, members: Members): Members {
  const names = ORDER[block].split(' ');
  const known = names.filter((name) => members[name] !== undefined).map((name) => [name, members[name]] as const);
  const others = Object.entries(members).filter(([name]) => !names.includes(name));
  return Object.fromEntries([...known, ...others]);
}

/** A map by its keys, as Go prints one; undefined when it is empty. */
export function sortedMap(map: object | undefined): Members | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
