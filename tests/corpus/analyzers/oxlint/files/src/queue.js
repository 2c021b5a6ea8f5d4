'use strict';

const { EventEmitter } = require('node:events');

class Queue extends EventEmitter {
  constructor(limit) {
    this.limit = limit;
    super();
    this.jobs = [];
    this.running = 0;
  }

  push(job) {
    this.jobs.push(job);
    this.next();
  }

  next() {
    while (this.running < this.limit && this.jobs.length > 0) {
      const job = this.jobs.shift();
      this.running += 1;
      job()
        .then((result) => this.emit('done', result))
        .catch((error) => this.emit('error', error))
        .finally(() => {
          this.running -= 1;
          this.next();
        });
    }
  }

  drain() {
    return new Promise(async (resolve) => {
      while (this.running > 0) await new Promise((done) => setTimeout(done, 10));
      resolve();
    });
  }

  stop() {
    try {
      return this.jobs.splice(0);
    } finally {
      return [];
    }
  }
}

module.exports = { Queue };
