#!/usr/bin/env node
import { main } from '../src/tsh/main.js';

await main();
