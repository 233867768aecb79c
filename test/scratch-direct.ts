import { writeFileSync } from 'node:fs';
import { startAwsDirect } from './support/aws-direct.js';
const w = await startAwsDirect();
const lines = Object.entries(w.vars).map(([k, v]) => `export ${k}='${v}'`);
lines.push(`export CA=${w.caFile} SALES=${w.redshift.ports.sales} REPORTS=${w.redshift.ports.reports}`);
writeFileSync('/tmp/h/direct/env', `${lines.join('\n')}\n`);
console.log('ready');
process.on('SIGTERM', () => void w.stop().then(() => process.exit(0)));
setInterval(() => {}, 1000);
