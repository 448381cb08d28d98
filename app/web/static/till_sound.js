// Sounds that can be told apart without looking: a short high one for done, two low ones for not done, one soft one
// for noted, and a little tune for a reward.

const KEY = "leima-till-muted";
const NOTES = {
  good: [[880, 0, 0.12], [1175, 0.1, 0.14]],
  bad: [[233, 0, 0.18], [196, 0.24, 0.3]],
  noted: [[587, 0, 0.16]],
  reward: [[659, 0, 0.12], [784, 0.12, 0.12], [988, 0.24, 0.12], [1319, 0.36, 0.3]],
};

export const isMuted = () => localStorage.getItem(KEY) === "yes";
export const setMuted = (muted) => localStorage.setItem(KEY, muted ? "yes" : "no");

/** Play the sound of an outcome: "good", "bad", "noted" or "reward". A browser that allows no sound yet stays silent. */
export async function play(outcome) {
  if (isMuted() || !NOTES[outcome] || !window.AudioContext) return;
  const audio = new AudioContext();
  if (audio.state !== "running") {
    await Promise.race([audio.resume(), new Promise((wake) => setTimeout(wake, 300))]);
  }
  if (audio.state !== "running") return audio.close();
  for (const [frequency, start, seconds] of NOTES[outcome]) {
    const tone = new OscillatorNode(audio, { frequency, type: outcome === "bad" ? "square" : "sine" });
    const volume = new GainNode(audio, { gain: 0.12 });
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + start);
    tone.stop(audio.currentTime + start + seconds);
  }
  setTimeout(() => audio.close(), 1000);
}
