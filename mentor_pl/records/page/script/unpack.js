// The other side of pack.py: letters -> {told, arrays}.

const ABSENT = 65535; // a scaled number that is not known

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

async function unpack(letters) {
  const packed = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const whole = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(whole.buffer).getUint32(0, true);
  const { arrays, ...told } = JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + length)));
  const found = {};
  for (const [name, [type, place, count]] of Object.entries(arrays)) {
    found[name] = numbers(whole, 4 + length + place, count, ARRAYS[type]);
  }
  return { told, arrays: found };
}

// All first bytes come first, then all second ones.
function numbers(whole, place, count, Kind) {
  const width = Kind.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(count * width);
  for (let plane = 0; plane < width; plane++) {
    const from = place + plane * count;
    for (let i = 0; i < count; i++) bytes[i * width + plane] = whole[from + i];
  }
  return new Kind(bytes.buffer);
}
