/**
 * The environment as the AWS SDK has it: that of the process, which it reads by itself and takes from nobody. What we read
 * beside it must be the same. Everything outside of `aws` gets its environment handed down, from `Env.vars` of a command.
 */
export function sdkEnv(): NodeJS.ProcessEnv {
  return process.env;
}
