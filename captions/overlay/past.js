/** What was said in a room before we came: the server's transcript of it. */

/** Its captions, taken into `transcript`, and how many before them were not kept. Nothing if the server keeps none. */
export async function recall(transcript, { base, room, key }) {
  const route = new URL(`v1/rooms/${encodeURIComponent(room)}/transcript.json?words=false`, base);
  const answer = await fetch(route, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  if (!answer.ok) return;
  for (const caption of await answer.json()) transcript.accept(caption, Date.now());
  transcript.forgotten = Math.max(transcript.forgotten, Number(answer.headers.get("Captions-Forgotten")));
}
