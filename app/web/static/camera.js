// Reading the card's QR code with the camera: by the browser itself where it can, else frame by frame on the server.

const LONGEST_SIDE = 1280;
const PAUSE = 330; // milliseconds between two frames

/**
 * Wire the camera's button and panel. `onText` gets what was read; `token` is the CSRF token, or gives it. With
 * `keepOpen` the camera goes on after that, and tells the same code as long as it is held before it.
 */
export function setUpCamera({ open, panel, token, onText, keepOpen = false }) {
  const video = panel.querySelector("video");
  const note = panel.querySelector("#camera-note");
  let stream = null;

  const say = (text) => (note.textContent = text);
  open.hidden = false;
  open.addEventListener("click", () => (stream ? stop() : start()));
  panel.querySelector("#camera-close").addEventListener("click", () => {
    stop();
    open.focus();
  });
  addEventListener("pagehide", stop);

  function stop() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    panel.hidden = true;
    open.setAttribute("aria-expanded", "false");
  }

  async function start() {
    panel.hidden = false;
    open.setAttribute("aria-expanded", "true");
    try {
      if (!navigator.mediaDevices) throw new DOMException("not a secure page", "NotAllowedError");
      const wanted = { facingMode: "environment", width: { ideal: LONGEST_SIDE } };
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      return say(error.name === "NotFoundError" ? panel.dataset.absent : panel.dataset.refused);
    }
    say(panel.dataset.looking);
    await look(await reader());
  }

  async function look(read) {
    const own = stream;
    while (own && stream === own) {
      const text = await read();
      if (stream !== own) return;
      if (text && !keepOpen) {
        stop();
        return onText(text);
      }
      if (text) onText(text);
      await new Promise((wake) => setTimeout(wake, PAUSE));
    }
  }

  /** A function that looks at the current picture once, and gives the code's text or "". */
  async function reader() {
    if ("BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      return async () => (await detector.detect(video).catch(() => []))[0]?.rawValue ?? "";
    }
    return askServer;
  }

  async function askServer() {
    const frame = await currentFrame();
    if (!frame) return "";
    try {
      const answer = await fetch(panel.dataset.url, {
        method: "POST",
        headers: { "X-CSRFToken": typeof token === "function" ? token() : token, Accept: "application/json", "Content-Type": frame.type },
        body: frame,
      });
      if (answer.redirected) {
        say(panel.dataset.signedOut);
        return "";
      }
      const told = answer.status === 204 ? {} : await answer.json();
      say(answer.ok ? panel.dataset.looking : told.detail);
      return told.text ?? "";
    } catch {
      say(panel.dataset.unreachable);
      return "";
    }
  }

  function currentFrame() {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    if (!canvas.width) return null;
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
  }
}
