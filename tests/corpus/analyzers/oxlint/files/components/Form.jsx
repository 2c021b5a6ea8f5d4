import React, { useState } from 'react';

export default function Form({ initial, onSubmit }) {
  const [values, setValues] = useState(initial);
  const [error, setError] = useState(null);

  const change = (name) => (event) => {
    setValues({ ...values, [name]: event.target.value });
  };

  async function submit(event) {
    event.preventDefault();
    try {
      await onSubmit(values);
    } catch (problem) {
      setError(problem.message);
    }
  }

  return (
    <form onSubmit={submit}>
      <input id="name" value={values.name} onChange={change('name')} id="field" />
      <img src="/logo.png">logo</img>
      <br />
      {error && <p role="alert">{error}</p>}
      <button type="submit" disabled={!values.name}>
        Save
      </button>
      <Hint text="needed" />
    </form>
  );
}
