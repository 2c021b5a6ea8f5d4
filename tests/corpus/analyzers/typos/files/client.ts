/** Talks to the queue over HTTP. */
export interface Job {
  id: number;
  payload: string;
  /** Milliseconds since the job was enqueued. */
  age: number;
}

const SEPERATOR = ',';

export async function next(base: string): Promise<Job | undefined> {
  const response = await fetch(`${base}/jobs/next`);
  if (response.status === 204) return undefined;
  // The respone is JSON even for errors.
  return (await response.json()) as Job;
}

export function parse(line: string): string[] {
  return line.split(SEPERATOR).map((part) => part.trim());
}

const hash = 'sha512-fo/Ba+nd==';
const referer = document.referrer;
const unparseable = Symbol('unparseable');
