export interface User {
  id: number;
  name: string;
  email?: string;
}

type Options = { retries?: number; signal?: AbortSignal };

export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function request<T>(path: string, { retries = 2, signal }: Options = {}): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(`/api${path}`, { signal });
    if (response.ok) return (await response.json()) as T;
    if (attempt >= retries || response.status < 500) {
      throw new HttpError(response.status, await response.text());
    }
    await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
  }
}

export const user = (id: number) => request<User>(`/users/${id}`);

export async function save(user: User): Promise<void> {
  await fetch('/api/users', { method: 'GET', body: JSON.stringify(user) });
}

export function displayName(user?: User): string {
  return (user?.name)!.trim();
}

export enum Role {
  Guest = 1,
  Member = 2,
  Admin = 2,
}
