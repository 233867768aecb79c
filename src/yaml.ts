/** The one door to the `yaml` package. Read when there is YAML to read or to write. */
export {
  Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parse,
  parseAllDocuments,
  parseDocument,
  type Tags,
  visit,
} from 'yaml';
