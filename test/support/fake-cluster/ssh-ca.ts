/** A throw-away SSH authority: an Ed25519 key that signs user certificates (OpenSSH, PROTOCOL.certkeys). */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface SshCa {
  /** Its public key as a line, with the line end. */
  line: string;
  /** The line of a certificate for the key of a line. Extensions: name to value, "" for none. */
  sign(
    keyLine: string,
    options: {
      keyId: string;
      principals: readonly string[];
      from: Date;
      to: Date;
      extensions: Readonly<Record<string, string>>;
    },
  ): string;
}

export function createSshCa(): SshCa {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  // The key itself is the end of its SPKI.
  const own = [string('ssh-ed25519'), string(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))];
  return {
    line: `ssh-ed25519 ${Buffer.concat(own).toString('base64')}\n`,
    sign(keyLine, { keyId, principals, from, to, extensions }) {
      const [type = '', blob = ''] = keyLine.split(' ');
      const certificateType = `${type}-cert-v01@openssh.com`;
      const body = Buffer.concat([
        string(certificateType),
        string(randomBytes(32)),
        // A certificate holds what its key's blob has behind the type.
        Buffer.from(blob, 'base64').subarray(4 + type.length),
        uint64(0),
        uint32(USER),
        string(keyId),
        string(Buffer.concat(principals.map(string))),
        uint64(from.getTime() / 1000),
        uint64(to.getTime() / 1000),
        string(''),
        string(
          Buffer.concat(
            Object.entries(extensions)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .flatMap(([name, value]) => [string(name), string(value === '' ? '' : string(value))]),
          ),
        ),
        string(''),
        string(Buffer.concat(own)),
      ]);
      const signature = Buffer.concat([string('ssh-ed25519'), string(sign(null, body, privateKey))]);
      return `${certificateType} ${Buffer.concat([body, string(signature)]).toString('base64')}\n`;
    },
  };
}

const USER = 1;

function string(value: string | Buffer): Buffer {
  const content = Buffer.from(value as string);
  return Buffer.concat([uint32(content.length), content]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(Math.floor(value)));
  return bytes;
}
