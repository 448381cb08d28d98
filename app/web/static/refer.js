// Passing a link on: the phone's own way of sharing where it has one, and copying. Without either, the page has the rest.

const share = document.querySelector("[data-share]");
if (share && navigator.share) {
  share.hidden = false;
  share.addEventListener("click", async () => {
    try {
      await navigator.share({ title: share.dataset.title, text: share.dataset.text });
    } catch {
      // closed without sharing
    }
  });
}

for (const button of document.querySelectorAll("[data-copy-link]")) {
  const field = document.getElementById(button.dataset.copyLink);
  button.hidden = false;
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
