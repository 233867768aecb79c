/** `tsh clusters`: the root cluster and its leaves. */
import { remoteClusters } from '../access/cluster/calls.js';
import { connectRoot } from '../access/login/client.js';
import { ClusterLogin } from '../access/login/login.js';
import { currentSession } from '../access/login/session.js';
import type { Env } from '../cli/env.js';
import { labelsText, printJson, printLine, printTable, printYaml } from '../cli/output.js';
import { waitingFor } from '../cli/progress.js';
import type { GlobalArgs } from './flags.js';

export interface ClustersArgs extends GlobalArgs {
  format: 'text' | 'json' | 'yaml';
  verbose: boolean;
  quiet: boolean;
}

interface Listed {
  cluster_name: string;
  status: string;
  cluster_type: 'root' | 'leaf';
  labels: Record<string, string> | null;
  selected: boolean;
}

export async function run(env: Env, args: ClustersArgs): Promise<void> {
  const login = new ClusterLogin(env, args, await currentSession(env, args));
  const listed = await login.renewing(async (session): Promise<Listed[]> => {
    const { rootCluster, cluster: selected } = session;
    await using client = await connectRoot(env, session, args.insecure);
    const root: Listed = {
      cluster_name: rootCluster,
      status: 'online',
      cluster_type: 'root',
      labels: null,
      selected: selected === rootCluster,
    };
    const leaves = await waitingFor(env, 'the cluster', remoteClusters(client.root));
    return [
      root,
      ...leaves.map(
        ({ name, status, labels }): Listed => ({
          cluster_name: name,
          status,
          cluster_type: 'leaf',
          labels: Object.keys(labels).length > 0 ? labels : null,
          selected: name === selected,
        }),
      ),
    ];
  });
  if (args.format === 'json') return printJson(env, listed);
  if (args.format === 'yaml') return await printYaml(env, listed);
  const rows = listed.map((one) => [
    one.cluster_name,
    one.status,
    one.cluster_type,
    labelsText(one.labels ?? {}, { verbose: args.verbose }),
    ...(args.quiet ? [] : [one.selected ? '*' : '']),
  ]);
  const titles = ['Cluster Name', 'Status', 'Cluster Type', 'Labels', 'Selected'];
  const cut = ['Labels', 'Cluster Type', 'Status'];
  await printTable(env, args.quiet ? { rows } : { titles, rows, cut, isWhole: args.verbose });
  printLine(env);
}
