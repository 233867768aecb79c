#!/usr/bin/env node
import { start } from './start.js';

start('teleport', () => import('../src/teleport/main.js'));
