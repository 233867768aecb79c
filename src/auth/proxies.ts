/**
 * Where people reach the cluster: the Proxies that said so lately. Kept with an expiry, so that a Proxy which is gone is
 * forgotten.
 */
import { TeleportError } from '../errors.js';
import { keyOf } from '../store/store.js';
import type { AuthState } from './state.js';

export interface RegisteredProxy {
  hostId: string;
  hostname: string;
  /** `host:port` for people. */
  publicAddr: string;
}

/** How long a Proxy is remembered after its last word. */
export const PROXY_TTL_MS = 10 * 60_000;

export async function registerProxy(state: AuthState, proxy: RegisteredProxy): Promise<void> {
  if (proxy.hostId === '') throw new TeleportError('BadParameter', 'missing parameter HostID');
  const expires = new Date(state.now().getTime() + PROXY_TTL_MS);
  await state.store.put(keyOf('proxy', proxy.hostId), JSON.stringify(proxy), { expires });
}

export async function registeredProxies(state: AuthState): Promise<RegisteredProxy[]> {
  return (await state.store.range('/proxy/')).map(({ value }) => JSON.parse(value) as RegisteredProxy);
}

/** Public address of the first Proxy that has one. */
export async function publicProxyAddr(state: AuthState): Promise<string | undefined> {
  return (await registeredProxies(state)).find(({ publicAddr }) => publicAddr !== '')?.publicAddr;
}
