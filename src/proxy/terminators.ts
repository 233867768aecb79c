/**
 * Every way in which the Proxy ends TLS: which certificate is shown, which names can be negotiated, whether a client
 * certificate is asked for (auth-grpc-and-routing.md 1.3). Certificates and authorities can be replaced.
 */
import type { HostIdentity } from '../api/host-identity.js';
import type { TlsIdentity } from '../net/tls-server.js';
import { ALPN_OF_SERVICE, type Service } from './alpn-route.js';
import { createTerminator, type Terminator } from './terminator.js';

export interface Terminators {
  of(service: Service, options: { isUpgraded: boolean }): Terminator;
  /** TLS inside PostgreSQL: host certificate, no ALPN. */
  readonly inner: Terminator;
  setAuthorities(userCaPems: readonly string[], hostCaPems: readonly string[]): void;
  /** Show another host certificate. */
  setHostIdentity(identity: Pick<HostIdentity, 'certPem' | 'keyPem'>): void;
  setWebCertificate(certificate: { certPem: string; keyPem: string }): void;
  close(): void;
}

export function createTerminators(options: {
  identity: HostIdentity;
  webCert: { certPem: string; keyPem: string };
}): Terminators {
  let { webCert } = options;
  let userCaPems: readonly string[] = [];
  let hostCaPems: readonly string[] = options.identity.hostCaPems;
  let { certPem, keyPem } = options.identity;

  const any = (): readonly string[] => [...userCaPems, ...hostCaPems];
  const host = (ca: readonly string[]): TlsIdentity => ({ cert: certPem, key: keyPem, ca });
  const web = (): TlsIdentity => ({ cert: webCert.certPem, key: webCert.keyPem, ca: any() });

  const onWebCert = createTerminator({ identity: web(), alpn: ALPN_OF_SERVICE.web, requestCert: true });
  const upgraded = createTerminator({ identity: host(any()), alpn: ALPN_OF_SERVICE.web, requestCert: true });
  const transport = createTerminator({ identity: host(any()), alpn: ALPN_OF_SERVICE.transport, requestCert: true });
  const tunnel = createTerminator({ identity: host(hostCaPems), alpn: ALPN_OF_SERVICE.tunnel, requestCert: true });
  const inner = createTerminator({ identity: host(userCaPems), requestCert: true });

  const showAll = (): void => {
    onWebCert.setIdentity(web());
    upgraded.setIdentity(host(any()));
    transport.setIdentity(host(any()));
    tunnel.setIdentity(host(hostCaPems));
    inner.setIdentity(host(userCaPems));
  };

  return {
    of(service, { isUpgraded }) {
      if (service === 'transport') return transport;
      if (service === 'tunnel') return tunnel;
      return isUpgraded ? upgraded : onWebCert;
    },
    inner,
    setAuthorities(users, hosts) {
      userCaPems = users;
      hostCaPems = hosts;
      showAll();
    },
    setHostIdentity(identity) {
      ({ certPem, keyPem } = identity);
      showAll();
    },
    setWebCertificate(certificate) {
      const old = webCert;
      webCert = certificate;
      try {
        onWebCert.setIdentity(web());
      } catch (error) {
        webCert = old;
        throw error;
      }
    },
    close() {
      for (const terminator of [onWebCert, upgraded, transport, tunnel, inner]) terminator.close();
    },
  };
}
