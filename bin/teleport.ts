#!/usr/bin/env node
import { main } from '../src/teleport/main.js';

await main();
