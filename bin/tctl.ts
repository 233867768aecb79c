#!/usr/bin/env node
import { main } from '../src/tctl/main.js';

await main();
