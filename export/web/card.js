// The model card: where a model is from, how good it is, what it is for; and what the file does not say.

const ENTRIES = ['data', 'metrics', 'intended_use', 'limitations'];

function words(value) {
  if (!value) return 'not said';
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([name, item]) => `${name} ${item}`)
    .join(', ');
}

/** Returns pairs of terms and texts. Files of before there were cards have none. */
export function cardFacts(metadata) {
  const card = metadata.card ?? {};
  const facts = ENTRIES.map((name) => [name.replace('_', ' '), words(card[name])]);
  return [...facts, ['licence', words(metadata.licence)]];
}
