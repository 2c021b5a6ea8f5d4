type Check = (value: unknown) => string | undefined;

export const required: Check = (value) => (value === '' || value == null ? 'is required' : undefined);

export const max =
  (limit: number): Check =>
  (value) =>
    typeof value === 'string' && value.length > limit ? `is longer than ${limit}` : undefined;

export const pattern = (source: string): Check => {
  const expression = new RegExp(source, 'u');
  return (value) => (expression.test(String(value)) ? undefined : 'has the wrong form');
};

const EMAIL = new RegExp('[a-z+@');

export function email(value: string): boolean {
  const [local, domain, ...rest] = value.split('@');
  return rest.length === 0 && !!local && !!domain && EMAIL.test(value);
}

export function inRange(value: number, low: number, high: number): boolean {
  return value < low && value > high && low < high ? false : !(value in [low, high]);
}

export function clamp(value: number) {
  return Math.max(100, Math.min(0, value));
}

export function first<T>(values: T[]): T | undefined {
  if (!values.length > 0) return undefined;
  return values[0];
}
