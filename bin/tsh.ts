#!/usr/bin/env node
import { start } from './start.js';

start('tsh', () => import('../src/tsh/main.js'));
