/** The fields of `after` that differ from `before`. Saving only these reverts nothing that was changed elsewhere. */
export function changes<Fields extends object>(before: Fields, after: Fields): Partial<Fields> {
  const differs = (field: keyof Fields): boolean => JSON.stringify(before[field]) !== JSON.stringify(after[field]);
  const fields = Object.keys(after) as (keyof Fields)[];
  return Object.fromEntries(fields.filter(differs).map((field) => [field, after[field]])) as Partial<Fields>;
}
