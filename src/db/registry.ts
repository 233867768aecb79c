/**
 * The databases that this agent offers: static ones of the configuration file, db resources of the cluster that its
 * matchers select, and what it found in AWS. United by name; the later of these three wins, as in Teleport.
 */
import type { Database } from '../resources/types.js';

export interface Registry {
  get(name: string): Database | undefined;
  all(): Database[];
  /** The cluster's db resources that the matchers selected, replaced as a whole. */
  setResources(databases: Database[]): void;
  /** What was found in AWS, replaced as a whole. */
  setCloud(databases: Database[]): void;
  /** Fill in what was fetched (AWS metadata, labels) for `database`, unless it has changed since. */
  complete(database: Database, completed: Database): void;
  /** Called after each change with the names that came, changed or went. */
  onChange(listener: (names: string[]) => void): void;
}

export function createRegistry(fixed: Database[]): Registry {
  const statics = new Map(fixed.map((database) => [database.metadata.name, database]));
  const found: Record<'resources' | 'cloud', Map<string, Database>> = { resources: new Map(), cloud: new Map() };
  const written = (name: string) => found.cloud.get(name) ?? found.resources.get(name) ?? statics.get(name);
  /** What was fetched, by the record that it completes: a changed resource is a new record and asks anew. */
  const completions = new WeakMap<Database, Database>();
  const current = (database: Database | undefined) => database && (completions.get(database) ?? database);
  const listeners: ((names: string[]) => void)[] = [];
  const tell = (names: string[]) => {
    if (names.length > 0) for (const listener of listeners) listener(names);
  };
  const replace = (source: keyof typeof found, databases: Database[]) => {
    const old = found[source];
    const next = new Map(databases.map((database) => [database.metadata.name, database]));
    const names = [...new Set([...old.keys(), ...next.keys()])];
    const before = new Map(names.map((name) => [name, written(name)]));
    // What has not changed keeps its record, and with it what was fetched.
    found[source] = new Map(
      [...next].map(([name, one]) => {
        const known = old.get(name);
        return [name, known && JSON.stringify(known) === JSON.stringify(one) ? known : one];
      }),
    );
    tell(names.filter((name) => written(name) !== before.get(name)));
  };
  return {
    get: (name) => current(written(name)),
    all: () =>
      [...new Map([...statics, ...found.resources, ...found.cloud]).values()].map((database) => current(database)!),
    setResources: (databases) => replace('resources', databases),
    setCloud: (databases) => replace('cloud', databases),
    complete(database, completed) {
      const { name } = database.metadata;
      if (written(name) !== database) return;
      completions.set(database, completed);
      tell([name]);
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
