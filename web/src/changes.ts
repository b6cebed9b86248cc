/** The fields of `after` that differ from `before`: a form that saves no others reverts nothing that was changed elsewhere while it was open. */
export function changes<Fields extends object>(before: Fields, after: Fields): Partial<Fields> {
  const differs = (field: keyof Fields): boolean => JSON.stringify(before[field]) !== JSON.stringify(after[field]);
  const fields = Object.keys(after) as (keyof Fields)[];
  return Object.fromEntries(fields.filter(differs).map((field) => [field, after[field]])) as Partial<Fields>;
}
