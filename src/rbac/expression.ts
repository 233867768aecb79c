/**
 * `db_labels_expression`: does an expression over the labels of a resource and the traits of a user hold? Pure.
 *
 * Source: database-service.md 1.3.
 */
import { messageOf, TeleportError } from '../errors.js';
import { Kept } from '../kept.js';
import type { Traits } from '../resources/types.js';
import { arity, evaluate, listOf, textOf, truth, type Value, type Vocabulary } from './evaluate.js';
import { type Expression, parseExpression } from './expression-parser.js';
import { valueMatcher } from './labels.js';
import { emailLocal, regexpReplace } from './text-functions.js';

export interface LabelExpressionInput {
  labels: Record<string, string>;
  traits: Traits;
}

/** @throws TeleportError `BadParameter` for an expression that cannot be read or has no yes or no */
export function evaluateLabelExpression(text: string, input: LabelExpressionInput): boolean {
  try {
    return truth(evaluate(parsed(text), vocabulary(input)), 'the expression');
  } catch (error) {
    throw new TeleportError('BadParameter', `parsing label expression\n\t${messageOf(error)}`, { cause: error });
  }
}

/** Trees of the expressions of roles: each is asked about every database of a list. */
const trees = new Kept<Expression>({ most: 5_000, mostChars: 2 * 1024 * 1024 });

const parsed = (text: string): Expression => trees.get(text, () => parseExpression(text));

function vocabulary({ labels, traits }: LabelExpressionInput): Vocabulary {
  return {
    name(path) {
      const [first, second, third, key] = path;
      if (first === 'labels') {
        if (path.length === 1) return { value: labels };
        return path.length === 2 ? { value: own(labels, second!) ?? '' } : undefined;
      }
      const isTrait = first === 'user' && second === 'spec' && third === 'traits' && path.length === 4;
      return isTrait ? { value: own(traits, key!) ?? [] } : undefined;
    },
    functions: {
      labels_matching: (...args) => {
        arity('labels_matching', args, 1);
        const matches = valueMatcher(textOf(args[0]));
        return Object.entries(labels)
          .filter(([name]) => matches(name))
          .map(([, value]) => value);
      },
      ...LIST_FUNCTIONS,
    },
  };
}

const LIST_FUNCTIONS: Record<string, (...args: Value[]) => Value> = {
  contains: (...args) => {
    arity('contains', args, 2);
    return listOf(args[0]).includes(textOf(args[1]));
  },
  contains_any: (...args) => {
    arity('contains_any', args, 2);
    const list = listOf(args[0]);
    return listOf(args[1]).some((item) => list.includes(item));
  },
  // Nothing asked for is not "all there": an empty second list would open every door.
  contains_all: (...args) => {
    arity('contains_all', args, 2);
    const list = listOf(args[0]);
    const wanted = listOf(args[1]);
    return wanted.length > 0 && wanted.every((item) => list.includes(item));
  },
  set: (...args) => args.flatMap(listOf),
  'regexp.match': (...args) => {
    arity('regexp.match', args, 2);
    return listOf(args[0]).some(valueMatcher(textOf(args[1])));
  },
  'regexp.replace': (...args) => {
    arity('regexp.replace', args, 3);
    return regexpReplace(listOf(args[0]), textOf(args[1]), textOf(args[2]));
  },
  'email.local': (...args) => {
    arity('email.local', args, 1);
    return listOf(args[0]).map((address) => {
      const local = emailLocal(address);
      if (local !== undefined) return local;
      throw new TeleportError('BadParameter', `${JSON.stringify(address)} is not an e-mail address`);
    });
  },
  'strings.upper': (...args) => {
    arity('strings.upper', args, 1);
    return listOf(args[0]).map((item) => item.toUpperCase());
  },
  'strings.lower': (...args) => {
    arity('strings.lower', args, 1);
    return listOf(args[0]).map((item) => item.toLowerCase());
  },
};

function own<Item>(record: Record<string, Item>, key: string): Item | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
