/** keytar as we use it, and the questions and answers between us and the child process that holds it. */

/** The part of keytar that we use. */
export interface KeytarModule {
  getPassword(service: string, account: string): Promise<string | null>;
  setPassword(service: string, account: string, password: string): Promise<void>;
  deletePassword(service: string, account: string): Promise<boolean>;
  findCredentials(service: string): Promise<{ account: string; password: string }[]>;
}

/** keytar, and a way to be rid of a call that does not come back. */
export interface OpenKeytar {
  keytar: KeytarModule;
  /** Everything under way is given up. */
  abandon(): void;
}

export interface Question {
  id: number;
  call: keyof KeytarModule;
  args: string[];
}

export interface KeytarAnswer {
  id: number;
  value?: unknown;
  /** Text of what was thrown. */
  error?: string;
}
