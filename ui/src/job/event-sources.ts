// Where the events of the timeline come from.

export const SOURCES = [
  { value: 'operator', word: 'Operator' },
  { value: 'kubernetes', word: 'Kubernetes' },
  { value: 'flink', word: 'Flink' },
  { value: 'status', word: 'Status' },
] as const;

export function sourceWord(source: string): string {
  return SOURCES.find((one) => one.value === source)?.word ?? source;
}
