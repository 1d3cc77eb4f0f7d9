'use strict';
// Pieces of the page come with the id of their place, and replace what is there. Nothing is sent but the request for them.
const lost = document.getElementById('lost');
let late = 0;

function found() {
  clearTimeout(late);
  late = 0;
  lost.hidden = true;
}

function follow() {
  const events = new EventSource('events');
  events.onopen = found;
  events.addEventListener('piece', (event) => {
    const end = event.data.indexOf('\n');
    const place = document.getElementById(event.data.slice(0, end));
    if (place) place.innerHTML = event.data.slice(end + 1);
  });
  events.addEventListener('over', () => {
    events.close();
    found();
  });
  events.onerror = () => {
    late = late || setTimeout(() => { lost.hidden = false; }, 3000);
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
}

follow();
