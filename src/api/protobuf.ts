/** The one door to protobuf's library; the generated code in `gen/` stands behind it. Read when there are messages to make. */
export {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromJsonString,
  type Message,
  type MessageInitShape,
  type MessageShape,
  ScalarType,
  toJsonString,
} from '@bufbuild/protobuf';
export { type Timestamp, TimestampSchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
