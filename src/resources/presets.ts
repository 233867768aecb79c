/**
 * Roles that every new cluster has: `access`, `editor`, `auditor`. Of Teleport's lists the kinds that this product has,
 * plus those that its tools ask about. Source: Teleport 18.3.0 (database-service.md 3).
 */
import { roleWithDefaults } from './defaults.js';
import { RESOURCE_TYPE_LABEL } from './labels.js';
import type { Role, RoleConditions, Rule } from './types.js';

export const READ_ONLY = ['list', 'read'];
export const READ_WRITE = ['list', 'create', 'read', 'update', 'delete'];

const EDITOR_READ_WRITE = [
  'user',
  'role',
  'bot',
  'crown_jewel',
  'db_object_import_rule',
  'oidc',
  'saml',
  'github',
  'cluster_audit_config',
  'cluster_auth_preference',
  'auth_connector',
  'cluster_name',
  'cluster_networking_config',
  'session_recording_config',
  'trusted_cluster',
  'remote_cluster',
  'token',
  'connection_diagnostic',
  'db',
  'database_certificate',
  'lock',
  'integration',
  'node',
  'discovery_config',
  'app_server',
  'health_check_config',
  'access_list',
  'user_group',
];
const EDITOR_READ_ONLY = ['database_service', 'instance', 'autoupdate_agent_rollout'];
const AUDITOR_READ_ONLY = [
  'session',
  'event',
  'session_tracker',
  'cluster_alert',
  'instance',
  'bot_instance',
  'notification',
];

/** Fresh copies, with every default written out. */
export function presetRoles(): Role[] {
  return [access(), editor(), auditor()];
}

function access(): Role {
  return preset('access', 'Access cluster resources', {
    db_labels: { '*': '*' },
    db_service_labels: { '*': '*' },
    db_names: ['{{internal.db_names}}'],
    db_users: ['{{internal.db_users}}'],
    db_roles: ['{{internal.db_roles}}'],
    rules: [
      { resources: ['event'], verbs: READ_ONLY },
      {
        resources: ['session'],
        verbs: ['read', 'list'],
        where: 'contains(session.participants, user.metadata.name)',
      },
      { resources: ['instance'], verbs: READ_ONLY },
      { resources: ['cluster_maintenance_config'], verbs: READ_ONLY },
    ],
  });
}

function editor(): Role {
  return preset('editor', 'Edit cluster configuration', {
    rules: [...rules(EDITOR_READ_WRITE, READ_WRITE), ...rules(EDITOR_READ_ONLY, READ_ONLY)],
  });
}

function auditor(): Role {
  return preset('auditor', 'Review cluster events and replay sessions', {
    rules: [
      ...rules(AUDITOR_READ_ONLY, READ_ONLY),
      ...rules(['security_report', 'audit_query'], [...READ_ONLY, 'use']),
    ],
  });
}

function rules(kinds: readonly string[], verbs: readonly string[]): Rule[] {
  return kinds.map((kind) => ({ resources: [kind], verbs: [...verbs] }));
}

function preset(name: string, description: string, allow: RoleConditions): Role {
  return roleWithDefaults({
    kind: 'role',
    version: 'v7',
    metadata: { name, description, labels: { [RESOURCE_TYPE_LABEL]: 'preset' } },
    spec: { options: { max_session_ttl: '30h0m0s', forward_agent: true }, allow, deny: {} },
  });
}
