/**
 * Facts that have one home. `second` recognises the fact in a line of code, however it is written there: the constant, the
 * regular expression, the call of a library. A line outside the home that matches is a second home.
 */
export interface Home {
  fact: string;
  /** Files under `src`. */
  home: readonly string[];
  second: readonly RegExp[];
}

export const HOMES: readonly Home[] = [
  {
    fact: 'how wide a text is, and what a table looks like',
    // psql's aligned form is another table, that of psql. Help of commands and the log pad words of our own, which are ASCII,
    // and are read at every start.
    home: ['cli/cells.ts', 'cli/table.ts', 'localproxy/psql/aligned.ts', 'cli/help.ts', 'log.ts'],
    second: [
      /\[\.\.\.[^\]]+\]\.length/,
      /\bSegmenter\b/,
      /(['"`])-\1\.repeat\(/,
      /(['"`]) \1\.repeat\([^)]*\.length/,
      /wcwidth|EastAsian|stringWidth/i,
      // With one argument it fills up with blanks.
      /\.pad(?:End|Start)\((?:[^(),]|\([^()]*\))+\)/,
      /\bstripVTControlCharacters\b|\bstripAnsi\b/,
      /\bconsole\.table\b/,
    ],
  },
  {
    fact: 'colour codes',
    home: ['cli/color.ts'],
    second: [/(?:\\x1b|\\u001b|\\u\{1b\}|\\033)\[[\d;$]*\$?\{?\w*\}?m/i],
  },
  {
    fact: 'how Auth is dialled, and its gRPC as a client',
    home: ['api/dial.ts', 'api/client.ts', 'api/session.ts', 'api/alpn.ts'],
    second: [
      /\b(?:openAuthClient|authAlpn|createGrpcTransport|createGrpcWebTransport|createConnectTransport|createClient)\(/,
      /import (?!type)[^;]*\bconnect\b[^;]* from ['"]node:http2['"]/,
      /\bteleport-auth@/,
    ],
  },
  {
    fact: 'the WebSocket around a connection to a Proxy',
    home: ['net/routed.ts', 'net/websocket.ts'],
    second: [/\bupgradeConnection\(/],
  },
  { fact: 'how PEM is written', home: ['pki/pem.ts'], second: [/-----BEGIN \$\{/] },
  {
    fact: 'the keys of teleport.yaml, their types, and which have no effect',
    home: ['resources/teleport-yaml.ts'],
    second: [
      /\b(?:auth|proxy|db)_service\?:/,
      /\b(?:auth|proxy|db)_service['"]?: (?:\[|map\(|open\()/,
      /\[['"](?:auth|proxy|db)_service['"]\]\s*as\b/,
      /\.(?:auth|proxy|db)_service(?:\?\.\w+)? as\b/,
    ],
  },
  {
    fact: 'where teleport.yaml and the data are by default',
    // A command table loads nothing, so the defaults that the help shows stand in it.
    home: ['resources/default-paths.ts', 'teleport/commands.ts'],
    second: [/(['"`])\/etc\/teleport\.yaml\1/, /(['"`])\/var\/lib\/teleport(?:\/[\w.]+)?\1/],
  },
  {
    fact: "ports of Teleport's listeners",
    home: ['net/ports.ts'],
    second: [/(?<![\w:.'"`[])(?:3025|3_025|3080|3_080)\b(?!\])/],
  },
  { fact: 'the version that we announce', home: ['version.ts'], second: [/18\.3\.0/] },
  {
    fact: 'durations as Go writes them',
    home: ['duration.ts'],
    second: [
      /\b(?:us|µs|μs)['"`]?\s*[:|]\s*(?:1|ms\b)/,
      /invalid duration/,
      /\* 1_000_000n|[tT][tT][lL]\w* \* 1e6/,
      /\(\??:?(?:ns\|)?(?:us\|)?(?:ms\|)?s\|m\|h/,
    ],
  },
  {
    fact: 'yes and no as words',
    home: ['yes-no.ts'],
    second: [
      /['"`|(^](?:yes|y)(?=['"`|)$]).*['"`|(^](?:true|t|on|1|y|yes)['"`|)$]/i,
      /['"`|(^](?:true|t|on|1)(?=['"`|)$]).*['"`|(^](?:yes|y)['"`|)$]/i,
      /['"`|(^](?:no|n)(?=['"`|)$]).*['"`|(^](?:false|f|off|0|no|n)['"`|)$]/i,
      /['"`|(^](?:false|f|off|0)(?=['"`|)$]).*['"`|(^](?:no|n)['"`|)$]/i,
      /\(0\|false\)|\(1\|true\)|ParseBool\b.*\?/i,
    ],
  },
  {
    fact: "codes of a certificate's problems",
    home: ['certificate-problem.ts'],
    second: [
      /\b(?:CERT_(?:HAS_EXPIRED|NOT_YET_VALID|SIGNATURE_FAILURE)|UNABLE_TO_(?:VERIFY_LEAF|GET_ISSUER)\w*|\w*SELF_SIGNED_CERT\w*|INVALID_CA)\b/,
    ],
  },
  {
    fact: "which error a status of the Proxy's web API is, and what its error answers look like",
    // The second is the other end. A connection upgrade has no body, and its 404 is a server that does not know it.
    home: ['webapi/error.ts', 'proxy/web/answer.ts', 'net/websocket.ts'],
    second: [
      /\b(?:40[0349]|412|429|50[1-4])\b.*['"`](?:BadParameter|AccessDenied|NotFound|AlreadyExists|CompareFailed|LimitExceeded|NotImplemented|ConnectionProblem)['"`]/,
      /\b(?:BadParameter|AccessDenied|NotFound|AlreadyExists|CompareFailed|LimitExceeded|NotImplemented|ConnectionProblem)['"`]?: [45]\d\d\b/,
      /\berror\?: \{ ?message\b|\berror\?\.message\b/,
      /\bSTATUS_CODES\b/,
    ],
  },
  {
    fact: "HTTP with the Proxy's web API, and with STS in the name of who joins",
    home: ['webapi/exchange.ts', 'aws/proven-identity.ts'],
    second: [
      /import [^;]*\brequest\b[^;]* from ['"]node:https?['"]/,
      /\bhttps?\.request\(/,
      /(?<![\w.#])fetch\((?:['"`]|new URL)/,
    ],
  },
  {
    fact: 'what an ARN and the number of an AWS account look like',
    // The other hides passwords, and must know that an ARN is none.
    home: ['aws/arn.ts', 'redact.ts'],
    second: [/\/\^?arn:/, /['"`]arn:(?:\$\{|\*|['"`])/, /\.split\(':'\)\[[14]\]/, /assumed-role\\?\//, /\\d\{12\}/],
  },
  {
    fact: 'which cluster is behind a certificate',
    // Node's own reading of names is used nowhere: before `node:tls` is loaded it leaves Node 20 without `createSecureContext`.
    home: ['pki/cluster-name.ts', 'pki/certificate.ts'],
    second: [/\bissuerOf\(/, /\.issuer\.get\(/, /\btoLegacyObject\b/],
  },
  {
    fact: 'how another program is started',
    home: ['child-process.ts'],
    second: [/['"`](?:node:)?child_process['"`]/, /['"`]execa['"`]/],
  },
  {
    fact: 'the environment of this process',
    // `cli/env.ts` hands it to commands, which hand it on. The AWS SDK takes it from nobody, so what stands beside the SDK reads the same.
    home: ['cli/env.ts', 'aws/sdk-env.ts', 'aws/clients.ts', 'aws/profile.ts', 'aws/region.ts'],
    second: [
      /\b(?:process|proc)\??\.env\b/,
      /\bprocess\[['"`]env['"`]\]/,
      /\{[^}]*\benv\b[^}]*\} = process\b/,
      /import [^;]*\benv\b[^;]* from ['"]node:process['"]/,
      /\bsdkEnv\b/,
    ],
  },
  {
    fact: 'waiting some milliseconds, or for something but not for ever',
    home: ['wait.ts'],
    second: [
      /setTimeout\(\s*\(\) => \w*reject\(/,
      /0x7fff_?ffff\b|2_?147_?483_?647/i,
      /\btimers\/promises\b/,
      /\bPromise\.race\(/,
      /setTimeout\(\s*(?:resolve|\(\) => resolve\()/,
      /new Promise(?:<\w+>)?\(\s*\(?(\w+)\)? =>\s*(?:void )?setTimeout\(\1\b/,
    ],
  },
  {
    fact: 'IP addresses: their spelling, and which are loopback',
    home: ['ip.ts', 'host-port.ts'],
    second: [/::ffff:/i, /['"`]::1['"`]/, /\^127|127\\\./, /\bBlockList\b/, /=== ['"`]localhost/],
  },
  {
    fact: 'host:port as text',
    // The second says in Go's words what is wrong with an address, the third in ours, of a file or a flag.
    home: ['host-port.ts', 'resources/validate-database.ts', 'resources/config-address.ts'],
    second: [
      /(?:>|<=) 65_?535\b/,
      /\[\$\{\w*(?:host|address)\w*\}\]:/i,
      /\$\{[\w.!]*(?:host|address)\}:\$\{/i,
      /lastIndexOf\((['"`]):\1\)/,
      /\.replace\(\/:\\d[*+]\$\//,
      /\(\?::\((?:\[\^:\]|\\d|\.)/,
      /is not an address, expected/,
      /\.replace\(\/\^[^,]*https\?[^,]*, ''\)/,
    ],
  },
  {
    fact: 'the PROXY header',
    home: ['net/proxy-protocol.ts'],
    second: [/0d0a0d0a000d0a/i, /['"`]PROXY (?:TCP|UNKNOWN|['"`])/],
  },
  {
    fact: 'the host id in the name of a host',
    home: ['identity/host.ts'],
    second: [/\$\{[\w.]*hostId\}\.\$\{/i, /`\.\$\{[\w.]*clusterName\}`/],
  },
  {
    fact: 'object identifiers of a subject',
    home: ['identity/attributes.ts'],
    second: [/['"`]1\.3\.9999\./],
  },
  {
    fact: 'who stands behind a TLS certificate',
    // An agent asks the other question: whether the server that it has dialled is a Proxy.
    home: ['identity/bearer.ts', 'net/tls-server.ts', 'pki/verify.ts', 'pki/x509.ts', 'tunnel/agent.ts'],
    second: [
      /\bverifyLeaf\b/,
      /\.getPeer(?:X509)?Certificate\(/,
      /\.authorized\b/,
      /={2,3} (?:['"`]usage:db|DATABASE_USAGE)/,
    ],
  },
  {
    fact: 'signature suites',
    home: ['pki/suites.ts'],
    second: [/['"`](?:balanced|fips|hsm)-v1['"`]/],
  },
  {
    fact: "names of Teleport's system roles",
    home: ['resources/system-role.ts'],
    second: [/['"`](?:Trusted_cluster|RemoteProxy|Nop)['"`]/, /\|\s*['"`](?:Auth|Proxy|Node|Instance)['"`]/],
  },
  {
    fact: "authorities as Auth's trust service brings them",
    home: ['api/authorities.ts'],
    second: [/\.(?:activeKeys|additionalTrustedKeys)\b/],
  },
  { fact: 'object identifiers of X.500 names', home: ['pki/name.ts'], second: [/['"`]2\.5\.4\.\d/] },
  {
    fact: 'a certificate that is pinned to an address',
    home: ['identity/pinned-ip.ts'],
    second: [/pinnedIp\b[^=\n]*[!=]==/, /pinned IP doesn't match/],
  },
  {
    fact: 'the end of a connection: last words, then close, but not for ever',
    // The other ends a line that fell silent, and begins to count again at every word.
    home: ['net/hang-up.ts', 'tunnel/agent-line.ts'],
    second: [/setTimeout\(\s*\(\) => (?:void )?\w+\??\.(?:destroy|end|close)\(/],
  },
  {
    fact: 'a signal for which many wait',
    home: ['abort.ts'],
    second: [/\bsetMaxListeners\(0\b/],
  },
];
