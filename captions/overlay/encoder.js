/** Audio frames to what goes over the wire: Opus where the browser has it, else 16-bit PCM. */

const BITRATE = 32_000;
const FRAME_US = 20_000;

/** `codec` and `sampleRate` for the start message; `encode` a Float32Array of 20 ms, and `send` gets its bytes. */
class PcmEncoder {
  codec = "pcm_s16le";
  #send;

  constructor(sampleRate, send) {
    this.sampleRate = sampleRate;
    this.#send = send;
  }

  encode(frame) {
    const bytes = new DataView(new ArrayBuffer(frame.length * 2));
    frame.forEach((sample, i) => bytes.setInt16(i * 2, Math.max(-1, Math.min(1, sample)) * 32_767, true));
    this.#send(bytes.buffer);
  }

  close() {}
}

class OpusEncoder {
  codec = "opus";
  sampleRate = 48_000; // The clock of Opus, whatever rate it is given (RFC 7587).
  #rate;
  #frames = 0;
  #encoder;

  constructor(config, send) {
    this.#rate = config.sampleRate;
    this.#encoder = new AudioEncoder({
      output(chunk) {
        const packet = new ArrayBuffer(chunk.byteLength);
        chunk.copyTo(packet);
        send(packet);
      },
      error: console.error,
    });
    this.#encoder.configure(config);
  }

  encode(frame) {
    const audio = new AudioData({
      format: "f32",
      sampleRate: this.#rate,
      numberOfFrames: frame.length,
      numberOfChannels: 1,
      timestamp: this.#frames++ * FRAME_US,
      data: frame,
    });
    this.#encoder.encode(audio);
    audio.close();
  }

  close() {
    this.#encoder.close();
  }
}

/** The best encoder for audio of that rate; `wanted` "pcm" passes Opus over. */
export async function encoderFor(sampleRate, wanted, send) {
  const config = {
    codec: "opus",
    sampleRate,
    numberOfChannels: 1,
    bitrate: BITRATE,
    opus: { frameDuration: FRAME_US, application: "voip" },
  };
  const opus = wanted !== "pcm" && "AudioEncoder" in globalThis && (await AudioEncoder.isConfigSupported(config));
  return opus?.supported ? new OpusEncoder(config, send) : new PcmEncoder(sampleRate, send);
}
