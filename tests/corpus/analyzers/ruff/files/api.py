"""The public API of the ticket desk."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query

from .db import Session, session
from .schemas import Ticket, TicketIn

app = FastAPI()


@app.get("/tickets")
def list_tickets(limit: int = Query(50, le=200), db: Session = Depends(session)) -> list[Ticket]:
    return db.tickets(limit)


@app.get("/tickets/{number}")
def read_ticket(number: int, db: Annotated[Session, Depends(session)]) -> Ticket:
    ticket = db.ticket(number)
    if ticket is None:
        raise HTTPException(status_code=404)
    return ticket


@app.post("/tickets", status_code=201)
def create_ticket(ticket: TicketIn, db: Session = Depends(session)) -> Ticket:
    try:
        return db.add(ticket)
    except ValueError as error:
        raise HTTPException(status_code=422, detail=str(error)) from error


@app.get("/tickets")
def list_tickets(db: Session = Depends(session)) -> list[Ticket]:
    return db.tickets(10)
