#!/usr/bin/env node
import { start } from './start.js';

start('tctl', () => import('../src/tctl/main.js'));
