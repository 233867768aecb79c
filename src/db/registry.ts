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
  /** Fill in what was fetched (AWS metadata, labels) for a database of that name. */
  update(database: Database): void;
  /** Called after each change with the names that came, changed or went. */
  onChange(listener: (names: string[]) => void): void;
}

export function createRegistry(fixed: Database[]): Registry {
  const statics = new Map(fixed.map((database) => [database.metadata.name, database]));
  let resources = new Map<string, Database>();
  const listeners: ((names: string[]) => void)[] = [];
  const tell = (names: string[]) => {
    if (names.length > 0) for (const listener of listeners) listener(names);
  };
  return {
    get: (name) => resources.get(name) ?? statics.get(name),
    all: () => [...new Map([...statics, ...resources]).values()],
    setResources(databases) {
      const next = new Map(databases.map((database) => [database.metadata.name, database]));
      const changed = [...new Set([...resources.keys(), ...next.keys()])].filter(
        (name) => JSON.stringify(resources.get(name)) !== JSON.stringify(next.get(name)),
      );
      resources = next;
      tell(changed);
    },
    update(database) {
      const { name } = database.metadata;
      const home = resources.has(name) ? resources : statics;
      if (!home.has(name)) return;
      home.set(name, database);
      tell([name]);
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
