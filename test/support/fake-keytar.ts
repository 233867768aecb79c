/** keytar without a keychain: entries in memory. */
import type * as Keytar from 'keytar';

type Calls = 'getPassword' | 'setPassword' | 'deletePassword' | 'findCredentials';

export interface FakeKeytar {
  keytar: Pick<typeof Keytar, Calls>;
  abandon(): void;
}

export function fakeKeytar(kept = new Map<string, string>()): FakeKeytar {
  const key = (service: string, account: string) => `${service}\n${account}`;
  return {
    keytar: {
      getPassword: async (service, account) => kept.get(key(service, account)) ?? null,
      setPassword: async (service, account, password) => void kept.set(key(service, account), password),
      deletePassword: async (service, account) => kept.delete(key(service, account)),
      findCredentials: async (service) =>
        [...kept].flatMap(([name, password]) => {
          const [of, account] = name.split('\n');
          return of === service ? [{ account: account!, password }] : [];
        }),
    },
    abandon: () => {},
  };
}
