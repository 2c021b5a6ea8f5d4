FROM node
COPY package.json package-lock.json app/
WORKDIR app
RUN npm ci
ADD . .
RUN npm run build
EXPOSE 80000
CMD npm start
