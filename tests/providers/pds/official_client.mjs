// What Bluesky's own client library makes of texts: a JSON list of them comes on standard input.
import { RichText } from '@atproto/api'

let input = ''
for await (const chunk of process.stdin) input += chunk

const answers = JSON.parse(input).map((text) => {
  const rich = new RichText({ text })
  rich.detectFacetsWithoutResolution()
  const parts = (rich.facets ?? []).map(({ index, features: [feature] }) => ({
    start: index.byteStart,
    end: index.byteEnd,
    kind: feature.$type.split('#')[1],
    value: feature.uri ?? feature.tag ?? feature.did,
  }))
  return { graphemes: rich.graphemeLength, parts: parts.sort((a, b) => a.start - b.start) }
})
console.log(JSON.stringify(answers))
