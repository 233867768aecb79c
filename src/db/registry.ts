/**
 * The databases that this agent offers: static ones of the configuration file and db resources of the cluster that its
 * matchers select. United by name; a resource wins over a static entry, as in Teleport.
 */
import type { Database } from '../resources/types.js';

export interface Registry {
  get(name: string): Database | undefined;
  all(): Database[];
  /** The cluster's db resources that the matchers selected, replaced as a whole. */
  setResources(databases: Database[]): void;
  /** Fill in what was fetched (AWS metadata, labels) for `database`, unless it has changed since. */
  complete(database: Database, completed: Database): void;
  /** Called after each change with the names that came, changed or went. */
  onChange(listener: (names: string[]) => void): void;
}

export function createRegistry(fixed: Database[]): Registry {
  const statics = new Map(fixed.map((database) => [database.metadata.name, database]));
  let resources = new Map<string, Database>();
  /** What was fetched, by the record that it completes: a changed resource is a new record and asks anew. */
  const completions = new WeakMap<Database, Database>();
  const current = (database: Database | undefined) => database && (completions.get(database) ?? database);
  const listeners: ((names: string[]) => void)[] = [];
  const tell = (names: string[]) => {
    if (names.length > 0) for (const listener of listeners) listener(names);
  };
  return {
    get: (name) => current(resources.get(name) ?? statics.get(name)),
    all: () => [...new Map([...statics, ...resources]).values()].map((database) => current(database)!),
    setResources(databases) {
      const next = new Map(databases.map((database) => [database.metadata.name, database]));
      const isSame = (name: string) => JSON.stringify(resources.get(name)) === JSON.stringify(next.get(name));
      const [same, changed] = [new Set<string>(), [] as string[]];
      for (const name of new Set([...resources.keys(), ...next.keys()])) {
        if (isSame(name)) same.add(name);
        else changed.push(name);
      }
      // What has not changed keeps its record, and with it what was fetched.
      resources = new Map([...next].map(([name, one]) => [name, same.has(name) ? resources.get(name)! : one]));
      tell(changed);
    },
    complete(database, completed) {
      const { name } = database.metadata;
      if ((resources.get(name) ?? statics.get(name)) !== database) return;
      completions.set(database, completed);
      tell([name]);
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
