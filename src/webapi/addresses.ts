/**
 * Addresses of a Proxy: what a ping announces, and what goes into the profile. Pure.
 * Spec: login-and-profile.md 1.5.
 */

import { hostOf, joinHostPort, portOf } from '../host-port.js';
import { isUnspecified } from '../ip.js';
import { POSTGRES_PORT, WEB_PORT } from '../net/ports.js';
import type { Profile } from '../profile/profile.js';

/** Kinds of single sign-on connectors. */
export const SSO_TYPES = ['github', 'oidc', 'saml'] as const;
export type SsoType = (typeof SSO_TYPES)[number];

/** A connector as a ping announces it. */
interface AnnouncedConnector {
  name?: string;
  display?: string;
}

/** The answer of `/webapi/ping`, as far as we use it. Everything may be missing. */
export interface Ping {
  server_version?: string;
  min_client_version?: string;
  cluster_name?: string;
  auth?: {
    type?: string;
    second_factor?: string;
    local?: { name?: string };
    allow_headless?: boolean;
    github?: AnnouncedConnector & { EndpointURL?: string };
    oidc?: AnnouncedConnector & { IssuerURL?: string };
    saml?: AnnouncedConnector & { SSO?: string; singleLogoutEnabled?: boolean };
    has_motd?: boolean;
    load_all_cas?: boolean;
    /** Go duration. */
    default_session_ttl?: string;
    signature_algorithm_suite?: string | number;
    private_key_policy?: string;
  };
  proxy?: {
    tls_routing_enabled?: boolean;
    kube?: { enabled?: boolean; public_addr?: string; listen_addr?: string };
    ssh?: {
      listen_addr?: string;
      web_listen_addr?: string;
      public_addr?: string;
      ssh_public_addr?: string;
      /** Nanoseconds. */
      dial_timeout?: number;
    };
    db?: {
      postgres_listen_addr?: string;
      postgres_public_addr?: string;
      mysql_listen_addr?: string;
      mysql_public_addr?: string;
      mongo_listen_addr?: string;
      mongo_public_addr?: string;
    };
  };
}

/** Host and port of an address; the port may be missing. */
export function splitAddress(address: string, defaultPort: number): { host: string; port: number } {
  return { host: hostOf(address), port: portOf(address) || defaultPort };
}

/**
 * The profile fields that a ping decides.
 *
 * @param webAddr  `host:port` that was asked; the announced public address replaces it
 * @param options.sshPort  typed after the comma of `--proxy`
 */
export function profileOfPing(ping: Ping, webAddr: string, options: { sshPort?: number | undefined } = {}): Profile {
  const { ssh = {}, db = {}, kube = {}, tls_routing_enabled: tlsRouting = false } = ping.proxy ?? {};
  const web = ssh.public_addr ? withPort(ssh.public_addr, WEB_PORT) : webAddr;
  const webHost = hostOf(web);
  const webPort = splitAddress(web, WEB_PORT).port;
  const onWebHost = (listen: string | undefined, port: number) => joinHostPort(webHost, portOf(listen ?? '') || port);
  const sshAddr = ssh.ssh_public_addr ? withPort(ssh.ssh_public_addr, 3023) : onWebHost(ssh.listen_addr, 3023);
  const postgres = db.postgres_public_addr
    ? withPort(db.postgres_public_addr, webPort)
    : tlsRouting || !db.postgres_listen_addr
      ? web
      : onWebHost(db.postgres_listen_addr, POSTGRES_PORT);
  const mysql = db.mysql_public_addr
    ? withPort(db.mysql_public_addr, 3036)
    : db.mysql_listen_addr && onWebHost(db.mysql_listen_addr, 3036);
  const mongo = db.mongo_public_addr
    ? withPort(db.mongo_public_addr, webPort)
    : db.mongo_listen_addr && onWebHost(db.mongo_listen_addr, 27017);
  return {
    webProxyAddr: web,
    sshProxyAddr: options.sshPort ? joinHostPort(webHost, options.sshPort) : sshAddr,
    ...optional('kubeProxyAddr', tlsRouting ? web : kubeAddress(kube, webHost)),
    postgresProxyAddr: postgres,
    ...optional('mysqlProxyAddr', mysql),
    ...optional('mongoProxyAddr', mongo),
    tlsRoutingEnabled: tlsRouting,
    ...(ping.auth?.load_all_cas ? { loadAllCas: true } : {}),
    sshDialTimeout: dialTimeout(ssh.dial_timeout),
    ...(ping.auth?.saml?.singleLogoutEnabled ? { samlSloEnabled: true } : {}),
    ...optional('ssoHost', ssoHost(ping)),
  };
}

/** Host of the identity provider. */
function ssoHost({ auth }: Ping): string | undefined {
  const url = auth?.saml?.SSO ?? auth?.oidc?.IssuerURL ?? auth?.github?.EndpointURL;
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}

function kubeAddress(kube: NonNullable<NonNullable<Ping['proxy']>['kube']>, webHost: string): string | undefined {
  if (!kube.enabled) return undefined;
  if (kube.public_addr) return withPort(kube.public_addr, 3026);
  if (!kube.listen_addr) return joinHostPort(webHost, 3026);
  const { host, port } = splitAddress(kube.listen_addr, 3026);
  return joinHostPort(isUnspecified(host) ? webHost : host, port);
}

function dialTimeout(nanoseconds: number | undefined): string {
  const seconds = Math.round((nanoseconds ?? 0) / 1e9);
  return `${seconds > 0 ? seconds : 30}s`;
}

function withPort(address: string, port: number): string {
  return portOf(address) ? address : joinHostPort(hostOf(address), port);
}

function optional<Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> {
  return value ? ({ [key]: value } as Partial<Record<Key, string>>) : {};
}
