// What the page does beyond its templates: sending files, and keeping the newest words in sight.
(function () {
  async function send(files, secret) {
    const folder = (files[0].webkitRelativePath || "").split("/")[0];
    const first = await post("/upload/begin?folder=" + encodeURIComponent(folder), null, secret);
    if (!first.ok) return;
    for (const file of files) {
      const answer = await post("/upload/file?name=" + encodeURIComponent(file.name), file, secret);
      if (!answer.ok) return;
    }
    await post("/upload/end", null, secret);
  }

  function post(address, body, secret) {
    return fetch(address, { method: "POST", body: body, headers: { "X-VILAM3-Secret": secret } });
  }

  function followNewestWords() {
    let transcript = null;
    let atEnd = true;
    setInterval(() => {
      const now = document.querySelector(".transcript");
      if (!now) return;
      if (now !== transcript) {
        transcript = now;
        now.addEventListener("scroll", () => {
          atEnd = now.scrollHeight - now.scrollTop - now.clientHeight < 60;
        });
      }
      if (atEnd && now.scrollHeight - now.scrollTop - now.clientHeight > 1) now.scrollTop = now.scrollHeight;
    }, 120);
  }

  // The browser's own print dialog makes a PDF as well; a frame of its own keeps the page out of it.
  async function print(text) {
    const frame = document.createElement("iframe");
    frame.className = "print-frame";
    frame.srcdoc = await text;
    frame.addEventListener("load", () => frame.contentWindow.print());
    for (const old of document.querySelectorAll(".print-frame")) old.remove();
    document.body.append(frame);
  }

  window.trame = window.trame || {};
  window.trame.utils = window.trame.utils || {};
  window.trame.utils.vilam3 = {
    print,
    upload(event, secret) {
      const files = Array.from(event.target.files);
      event.target.value = "";
      if (files.length) send(files, secret);
    },
  };
  followNewestWords();
})();
