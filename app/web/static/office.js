// What the office pages can do once JavaScript is there: copy buttons, and buttons that are pressed only once.

for (const element of document.querySelectorAll("[data-live]")) element.hidden = false;

// On a phone the way between the pages is wider than the window: the page that is open must be seen in it.
document.querySelectorAll(".ways [aria-current]").forEach((way) => way.scrollIntoView({ block: "nearest", inline: "center" }));

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      return; // without permission the text stays selected, to be copied by hand
    }
    button.textContent = button.dataset.copied;
  });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if ("again" in form.dataset) return; // saves or prints, and may be wanted twice
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
// 'Back' may bring the page from memory, as it was when it was sent.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
