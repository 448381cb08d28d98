// The print button: it needs this script, so it shows only with it.
const button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => window.print());
